"""What a board is asked: the smallest network and input that tell apart what public text leaves open."""

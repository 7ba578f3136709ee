"""Does a network fit? Every rule, the placement of layers on cores, and what would make it fit."""

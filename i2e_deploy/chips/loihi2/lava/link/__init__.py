"""What runs inside the child interpreter. Lava imports every file beside a process class: keep nothing else here."""

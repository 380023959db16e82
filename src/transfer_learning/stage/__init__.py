"""What is around a stage's own work: errors, the folder's lock, facts of the machine, unfinished work, times."""

"""What is around a stage's own work: errors, the lock, facts of the machine, unfinished work, kept epochs, times."""

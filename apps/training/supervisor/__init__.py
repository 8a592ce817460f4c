"""One job's process: started or found again, watched, stopped; its row kept true while the database comes and goes."""

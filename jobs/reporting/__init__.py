"""What the night's report is made of: what is asked of the tables, charts, pictures, and words in two languages."""

"""What training and evaluation read and leave behind."""

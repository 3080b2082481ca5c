"""What people look through: lists by page, sums and files. Nothing here writes."""

"""What of a grid is done, to be continued and to do."""

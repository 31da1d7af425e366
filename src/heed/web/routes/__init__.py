"""What can be asked of the server, a file for each room.  Every route says who may: see `heed.web.guard`."""

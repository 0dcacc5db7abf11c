"""Jobs with content addresses: planned, executed, kept, and never done twice."""

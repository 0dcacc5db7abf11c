"""Jobs on a Dask cluster: the file that describes one, its start, its workers, and folders that travel as bytes."""

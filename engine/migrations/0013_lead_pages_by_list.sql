-- A campaign's leads are read from leads_list, its lists one after the other: an index less to write in an import.
DROP INDEX leads_status;

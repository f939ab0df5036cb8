-- A campaign's leads without a status are read from leads_status, a status each: an index less to write in an import.
DROP INDEX leads_campaign;

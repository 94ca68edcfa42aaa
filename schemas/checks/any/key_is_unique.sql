-- Keys that more than one row has.
SELECT {key}, count(*) AS rows
FROM {table}
GROUP BY {key}
HAVING count(*) > 1

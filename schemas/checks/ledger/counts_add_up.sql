-- Accounts whose rows in are not all accounted for.
SELECT *
FROM ledger
WHERE rows_in != kept + refused + duplicates + superseded

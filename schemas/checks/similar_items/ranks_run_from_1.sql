-- Items whose neighbours' ranks do not begin with 1, or leave a number out.
SELECT date, item_id
FROM similar_items
GROUP BY ALL
HAVING min(rank) != 1 OR max(rank) != count(*)

-- Items that stand among their own neighbours.
SELECT *
FROM similar_items
WHERE item_id = similar_item_id

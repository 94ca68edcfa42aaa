-- Explanations of what no shelf of the user has.
SELECT e.*
FROM explanations e
ANTI JOIN recommendations r USING (date, user_id, shelf, item_id)

-- Places whose likes add nothing, or more than all of them together.
SELECT date, user_id, shelf, item_id
FROM explanations
GROUP BY ALL
HAVING NOT (min(owed) > 0 AND min(share) > 0 AND sum(share) <= 1 + 1e-4 AND min(rank_without) >= 1)

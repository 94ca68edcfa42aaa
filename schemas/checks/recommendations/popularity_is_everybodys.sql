-- Recommendations that count more or less as popularity than the item's own block of it and what the mean user with a
-- like has in the history; of users without a like, those that count anything as history.
--
-- The mean is taken anew here, over `user_embeddings`: a user without a like has the vector of the newcomer.
WITH places AS (
    SELECT
        date, item_id, vector, blocks['history'] AS h, blocks['popularity'] AS p,
        coalesce(weights['history'], 1) AS h_weight, coalesce(weights['popularity'], 1) AS p_weight
    FROM item_embeddings
    WHERE coalesce(combination, 'sum') = 'sum' AND common_history IS NOT NULL
),
layouts AS (SELECT DISTINCT date, h, p FROM places),
people AS (
    SELECT
        u.date, u.user_id, u.vector = n.vector AS nobody, u.vector[h[1] + 1:h[2]] AS history,
        u.vector[p[1] + 1:p[2]] AS popularity,
        coalesce(u.new_items_vector, u.vector)[p[1] + 1:p[2]] AS popularity_of_new
    FROM user_embeddings u
    JOIN user_embeddings n ON n.date = u.date AND n.user_id = '{newcomer}'
    JOIN layouts l ON l.date = u.date
),
means AS (
    SELECT date, list(mean ORDER BY number) AS mean
    FROM (
        SELECT date, number, avg(value) AS mean
        FROM (
            SELECT date, unnest(history) AS value, unnest(generate_series(1, len(history))) AS number
            FROM people
            WHERE NOT nobody
        )
        GROUP BY date, number
    )
    GROUP BY date
),
everybodys AS (
    SELECT
        date, item_id, vector[p[1] + 1:p[2]] AS popularity, p_weight,
        CASE WHEN mean IS NULL THEN 0 ELSE h_weight * list_dot_product(mean, vector[h[1] + 1:h[2]]::DOUBLE[]) END AS common
    FROM places
    LEFT JOIN means USING (date)
),
expected AS (
    SELECT
        r.*, u.nobody,
        e.common + CASE WHEN len(e.popularity) = 0 THEN 0 ELSE e.p_weight * list_dot_product(
            CASE WHEN r.shelf = 'new_items' THEN u.popularity_of_new ELSE u.popularity END, e.popularity
        ) END AS everybodys
    FROM recommendations r
    JOIN everybodys e USING (date, item_id)
    JOIN people u USING (date, user_id)
)
SELECT * EXCLUDE (nobody, everybodys)
FROM expected
WHERE CASE
    WHEN nobody THEN contribution_history != 0
    ELSE abs(contribution_popularity - everybodys) > 1e-3 * (1 + abs(everybodys))
END

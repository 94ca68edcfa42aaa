-- One night at a glance: its rows by table, what was refused, its model, and the main figures.
--
-- A night is here once a step of it has its account in `ledger`. Figures are of `all` held-out likes, at the greatest
-- `k`; where likes were held out in several ways, of the first of `global_time`, `per_user` and `cold_items`.
--
-- Columns:
-- date: The night.
-- items: Rows that it brought to `items`.
-- interactions: Rows that it brought to `interactions`.
-- given_vectors: Rows that it brought to `given_vectors`.
-- refused: Rows of its steps that stand in `quarantine`, warnings (`contradictions`) left out.
-- refused_by_reason: The same rows by `reason`; empty where nothing was refused.
-- new_contents: Contents by modality that it was the first to extract.
-- strategy: The strategy of the night's own model; null where none was trained.
-- model_version: The night's own model, by its `model_version` in `models`; null where none was trained.
-- promoted: Whether that model serves the night; null where none was trained.
-- served_by: `model_version` of the model that its shelves are from, in `models`; null where it has none.
-- users: Users with a shelf, the newcomer `*` among them.
-- recommendations: Rows in `recommendations`.
-- similar_items: Rows in `similar_items`.
-- split: How the likes behind the figures were held out, as in `metrics`; null where there are no figures.
-- k: Length of the lists that they are measured on; null where there are no figures.
-- ndcg: Of the night's own model, 0 to 1; null where likes of nobody were held out.
-- recall: Of the night's own model, 0 to 1; null as `ndcg`.
-- coverage: Share of the catalog that the night's own model shows anybody, 0 to 1; null as `ndcg`.
-- ndcg_popularity: `ndcg` of what is popular, on the same likes; null as `ndcg`.
-- ndcg_last_promoted: `ndcg` of the model that was promoted before, on the same likes; null where there is none.
WITH known AS (SELECT DISTINCT date FROM ledger),
arrived AS (SELECT date, count(*) AS n FROM items GROUP BY date),
happened AS (SELECT date, count(*) AS n FROM interactions GROUP BY date),
given AS (SELECT date, count(*) AS n FROM given_vectors GROUP BY date),
reasons AS (
    SELECT date, reason, sum(coalesce(rows, 1))::BIGINT AS n
    FROM quarantine
    WHERE stage != 'contradictions'
    GROUP BY date, reason
),
refused AS (
    SELECT date, sum(n)::BIGINT AS n, map_from_entries(list((reason, n) ORDER BY reason)) AS by_reason
    FROM reasons
    GROUP BY date
),
contents AS (
    SELECT date, map_from_entries(list((modality, n) ORDER BY modality)) AS by_modality
    FROM (
        SELECT date, 'text' AS modality, count(DISTINCT content_key) AS n FROM features_text GROUP BY date
        UNION ALL
        SELECT date, 'image', count(DISTINCT content_key) FROM features_image GROUP BY date
        UNION ALL
        SELECT date, 'audio', count(DISTINCT content_key) FROM features_audio GROUP BY date
        UNION ALL
        SELECT date, 'video', count(DISTINCT content_key) FROM features_video GROUP BY date
    )
    GROUP BY date
),
model AS (
    SELECT date, model_version, strategy, promoted
    FROM models
    QUALIFY row_number() OVER (PARTITION BY date ORDER BY promoted DESC, model_version) = 1
),
shelves AS (
    SELECT date, count(*) AS n, count(DISTINCT user_id) AS users, any_value(model_version) AS served_by
    FROM recommendations
    GROUP BY date
),
neighbours AS (SELECT date, count(*) AS n FROM similar_items GROUP BY date),
figures AS (
    SELECT
        m.date, m.split, m.k,
        any_value(m.value) FILTER (m.model = model.strategy AND m.metric = 'ndcg') AS ndcg,
        any_value(m.value) FILTER (m.model = model.strategy AND m.metric = 'recall') AS recall,
        any_value(m.value) FILTER (m.model = model.strategy AND m.metric = 'coverage') AS coverage,
        any_value(m.value) FILTER (m.model = 'popularity' AND m.metric = 'ndcg') AS ndcg_popularity,
        any_value(m.value) FILTER (m.model = 'last_promoted' AND m.metric = 'ndcg') AS ndcg_last_promoted
    FROM metrics m
    JOIN model USING (date, model_version)
    WHERE m.segment = 'all' AND m.metric IN ('ndcg', 'recall', 'coverage')
        AND m.split IN ('global_time', 'per_user', 'cold_items')
    GROUP BY m.date, m.split, m.k
    QUALIFY row_number() OVER (
        PARTITION BY m.date ORDER BY list_position(['global_time', 'per_user', 'cold_items'], m.split), m.k DESC
    ) = 1
)
SELECT
    date,
    coalesce(arrived.n, 0) AS items,
    coalesce(happened.n, 0) AS interactions,
    coalesce(given.n, 0) AS given_vectors,
    coalesce(refused.n, 0) AS refused,
    coalesce(refused.by_reason, MAP {{}}) AS refused_by_reason,
    coalesce(contents.by_modality, MAP {{}}) AS new_contents,
    model.strategy,
    model.model_version,
    model.promoted,
    shelves.served_by,
    coalesce(shelves.users, 0) AS users,
    coalesce(shelves.n, 0) AS recommendations,
    coalesce(neighbours.n, 0) AS similar_items,
    figures.split,
    figures.k,
    figures.ndcg,
    figures.recall,
    figures.coverage,
    figures.ndcg_popularity,
    figures.ndcg_last_promoted
FROM known
LEFT JOIN arrived USING (date)
LEFT JOIN happened USING (date)
LEFT JOIN given USING (date)
LEFT JOIN refused USING (date)
LEFT JOIN contents USING (date)
LEFT JOIN model USING (date)
LEFT JOIN shelves USING (date)
LEFT JOIN neighbours USING (date)
LEFT JOIN figures USING (date)

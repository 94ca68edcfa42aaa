-- Accounts whose refused rows are not those that quarantine has of that step and night.
SELECT l.date, l.step, l.refused, coalesce(sum(coalesce(q.rows, 1)) FILTER (q.date IS NOT NULL), 0) AS found
FROM ledger l
LEFT JOIN quarantine q ON q.date = l.date AND q.stage = l.step
GROUP BY ALL
HAVING found != l.refused

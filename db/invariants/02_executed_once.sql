-- 2. Executed means exactly one succeeded attempt, with the last token but for attempts that certainly had no effect; and an
-- attempt that succeeded means executed.
select a.id::text as id,
       format('it is %s with %s succeeded attempts, the last token is %s', a.status, count(t), a.last_token) as what
  from actions a
  left join attempts t on t.action_id = a.id and t.state = 'succeeded'
 group by a.id
having (a.status = 'executed') <> (count(t) = 1) or count(t) > 1
    or exists (select from attempts later
                where later.action_id = a.id and later.token > max(t.token) and later.state not in ('retry', 'rejected'))

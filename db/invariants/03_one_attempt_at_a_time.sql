-- 3. No attempt begins while another is under way, and executing means that the newest one is.
-- A minute of grace: the clock may have stepped back between the two.
select action_id::text as id, format('attempt %s was not over when the next began', number) as what
  from (select *, lead(started_at) over (partition by action_id order by number) as next_started_at from attempts) each
 where next_started_at is not null and (finished_at is null or finished_at > next_started_at + interval '1 minute')
union all
select a.id::text, format('it is %s with %s attempts under way', a.status, count(t))
  from actions a
  left join attempts t on t.action_id = a.id and t.state = 'started' and t.token = a.last_token
 group by a.id
having (a.status = 'executing') <> (count(t) = 1)

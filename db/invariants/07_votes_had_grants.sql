-- 7. Each role that a vote counts with was held when it was counted.
-- A minute of grace: a snapshot of the directory ends a grant at a moment that lies before its commit.
select v.action_id::text as id, format('%s did not hold %s', v.person_id, role) as what
  from votes v
  cross join unnest(v.roles) as role
 where role <> '*'
   and not exists (select from grants g
                    where g.person_id = v.person_id and g.role = role and g.starts_at <= v.recorded_at
                      and (g.ends_at is null or v.recorded_at < g.ends_at + interval '1 minute'))

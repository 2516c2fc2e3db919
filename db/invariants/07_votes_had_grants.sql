-- 7. Each role that a vote counts with was held when it was counted, by the voter or by somebody they could act for then.
-- A minute of grace: a snapshot of the directory ends a grant at a moment that lies before its commit.
with spoken as (
    select action_id, person_id, recorded_at, person_id as holder, role from votes cross join unnest(roles) as role
    union all
    select action_id, person_id, recorded_at, delegated.key, role
      from votes
      cross join jsonb_each(acts_for) as delegated
      cross join jsonb_array_elements_text(delegated.value) as role
)
select s.action_id::text as id, format('%s did not hold %s when %s voted', s.holder, s.role, s.person_id) as what
  from spoken s
 where s.role <> '*'
   and not exists (select from grants g
                    where g.person_id = s.holder and g.role = s.role and g.starts_at <= s.recorded_at
                      and (g.ends_at is null or s.recorded_at < g.ends_at + interval '1 minute'))
union all
select v.action_id::text, format('%s could not act for %s when voting', v.person_id, delegator)
  from votes v
  cross join jsonb_object_keys(v.acts_for) as delegator
 where not exists (select from grants g
                    where g.person_id = v.person_id and g.acts_for = delegator and g.starts_at <= v.recorded_at
                      and (g.ends_at is null or v.recorded_at < g.ends_at + interval '1 minute'))

-- 4. Each attempt is told in the trail, with its number and token, and the trail tells of no other.
select coalesce(t.action_id, e.action_id)::text as id,
       case when t.action_id is null then format('the trail tells of an attempt with token %s that is not there', e.token)
            else format('the trail does not tell of attempt %s', t.number) end as what
  from attempts t
  full join (select action_id, (data ->> 'attempt')::integer as number, (data ->> 'token')::bigint as token
               from events where event = 'executing') e
    on (t.action_id, t.number, t.token) = (e.action_id, e.number, e.token)
 where t.action_id is null or e.action_id is null

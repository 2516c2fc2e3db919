-- 4. Attempts are numbered without gaps, their tokens rise, and the action knows the highest one.
select action_id::text as id, format('attempt %s has token %s, after %s', number, token, before) as what
  from (select *, row_number() over action as nth, lag(token, 1, 0::bigint) over action as before
          from attempts window action as (partition by action_id order by number)) each
 where number <> nth or token <= before
union all
select a.id::text, format('its last token is %s, that of its attempts is %s', a.last_token, max(t.token))
  from actions a
  left join attempts t on t.action_id = a.id
 group by a.id
having a.last_token <> coalesce(max(t.token), 0)

-- 6. A person has one counted vote on an action.
select action_id::text as id, format('%s has %s votes', person_id, count(*)) as what
  from votes group by action_id, person_id having count(*) > 1

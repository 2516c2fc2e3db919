-- 20. Of alerts of a type none led to an action within the cooldown after another, by the rule that was in force then.
-- A minute of grace: an alert that was decided about while its rule changed may have known the one before, or,
-- as the clock may step back, the one after.
select format('alert %s', later.id) as id, format('an alert of its type had led to an action at %s', later.before) as what
  from (select *, lag(answered_at) over (partition by type order by answered_at) as before
          from proposals where kind = 'alert' and answered_at is not null) later
 where later.answered_at < later.before + (
           select make_interval(secs => min((rule.body ->> 'cooldown_seconds')::integer))
             from (select *, lead(created_at) over (order by version) as until
                     from definitions where kind = 'remediation_rule' and name = later.type) rule
            where rule.created_at <= later.answered_at + interval '1 minute'
              and (rule.until is null or rule.until > later.answered_at - interval '1 minute'))

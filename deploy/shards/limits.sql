/* Run it on each shard as the service's role: the router does not send the run-time settings of a session.
   The values are those of DATABASE_STATEMENT_TIMEOUT_SECONDS and DATABASE_LOCK_TIMEOUT_SECONDS. */
ALTER ROLE CURRENT_USER SET statement_timeout = '5s';
ALTER ROLE CURRENT_USER SET lock_timeout = '2s';
ALTER ROLE CURRENT_USER SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE CURRENT_USER SET plan_cache_mode = 'force_generic_plan';

// What the rules say about themselves, in Prometheus's names under our prefix.
import type { Metrics } from '../model/ports/metrics.ts'

const group = ['rule_group'] as const

export const createRuleMetrics = (metrics: Metrics) => ({
  evaluations: metrics.counter('airboss_rule_evaluations_total', 'Evaluations of rules.', group),
  failures: metrics.counter(
    'airboss_rule_evaluation_failures_total',
    'Evaluations of rules that failed.',
    group,
  ),
  iterations: metrics.counter(
    'airboss_rule_group_iterations_total',
    'Evaluations of whole groups, missed ones included.',
    group,
  ),
  missed: metrics.counter(
    'airboss_rule_group_iterations_missed_total',
    'Evaluations of groups that fell away because the one before took too long.',
    group,
  ),
  duration: metrics.histogram(
    'airboss_rule_group_duration_seconds',
    'How long groups take to evaluate.',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
  ),
  lastDuration: metrics.gauge(
    'airboss_rule_group_last_duration_seconds',
    'How long a group took last.',
    group,
  ),
  lastEvaluation: metrics.gauge(
    'airboss_rule_group_last_evaluation_timestamp_seconds',
    'When a group was last evaluated, seconds since 1970.',
    group,
  ),
  lastSamples: metrics.gauge(
    'airboss_rule_group_last_evaluation_samples',
    'Samples a group wrote last.',
    group,
  ),
  interval: metrics.gauge('airboss_rule_group_interval_seconds', 'How often a group is evaluated.', group),
  rules: metrics.gauge('airboss_rule_group_rules', 'Rules in a group.', group),
  writeFailures: metrics.counter(
    'airboss_rule_write_failures_total',
    'Batches of rule results that could not be written.',
  ),
  alertsSent: metrics.counter('airboss_rule_alerts_sent_total', 'Alerts handed on, repeats included.'),
  alertSendFailures: metrics.counter(
    'airboss_rule_alert_send_failures_total',
    'Alerts that could not be handed on; they are tried again.',
  ),
  templateFailures: metrics.counter(
    'airboss_rule_template_failures_total',
    'Labels and annotations that failed to render.',
  ),
  stateFailures: metrics.counter(
    'airboss_rule_state_failures_total',
    'Failures to keep or read the state of alerts.',
  ),
  reloaded: metrics.gauge(
    'airboss_rule_config_last_reload_successful',
    'Whether the last reading of the rule files succeeded.',
  ),
})
export type RuleMetrics = ReturnType<typeof createRuleMetrics>

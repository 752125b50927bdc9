/**
 * Scenarios that the server does not pass, and why; none of them counts for a revision. The list is checked: what passes
 * must not stand here.
 */
export const knownGaps: Readonly<Record<string, string>> = Object.fromEntries(
  [
    'tasks-lifecycle',
    'tasks-capability-negotiation',
    'tasks-wire-fields',
    'tasks-request-state-removal',
    'tasks-mrtr-input',
    'tasks-request-headers',
    'tasks-dispatch-and-envelope',
    'tasks-status-notifications',
    'tasks-required-task-error',
    'tasks-mrtr-composition',
  ].map(scenario => [scenario, 'the example declares no tasks (io.modelcontextprotocol/tasks)']),
)

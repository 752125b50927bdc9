import type {
  CallTask,
  Circuit,
  Connection,
  Grant,
  PendingAuthorization,
  SigningKey,
  Task,
} from '../records.ts'
import type { Store } from '../store.ts'

/** An arbitrary moment, in seconds since the epoch: the suite never looks at a clock. */
export const now = 1_900_000_000

export const hostileIds: readonly string[] = [
  '__proto__',
  'constructor',
  '*',
  'a:b',
  '{x}',
  'a b\r\nDEL x',
  "'; DROP TABLE records; --",
  '["a","b"]',
  'ключ 🔑',
  'x'.repeat(10_240),
]

let counter = 0
/** A number no other call gave. */
export const unique = (): number => counter++

/** An operation id; unlike any other. */
export const operation = (): { operationId: string } => ({ operationId: `operation-${unique()}` })

export const aGrant = (over: Partial<Grant> = {}): Grant => ({
  version: 1,
  id: 'family',
  userId: 'user',
  clientId: 'client',
  redirectUri: 'https://client.example/callback',
  resource: 'https://server.example/mcp',
  scopes: ['notes:read', 'notes:write'],
  authTime: now - 5,
  amr: ['pwd'],
  acr: 'silver',
  createdAt: now,
  endsAt: now + 2_592_000,
  accessEndsAt: 0,
  code: {
    hash: 'code',
    challenge: 'challenge',
    nonce: 'nonce',
    dpopJkt: 'jkt',
    expiresAt: now + 600,
    failures: 0,
  },
  ...over,
})

export const aPendingAuthorization = (over: Partial<PendingAuthorization> = {}): PendingAuthorization => ({
  version: 1,
  id: 'transaction',
  step: 0,
  steppedBy: 'operation',
  sealed: 'sealed',
  expiresAt: now + 600,
  ...over,
})

export type ConnectionWrite = Omit<Connection, 'generation'>
export const aConnection = (over: Partial<ConnectionWrite> = {}): ConnectionWrite => ({
  version: 1,
  userId: 'user',
  provider: 'google',
  account: 'default',
  writtenBy: `write-${unique()}`,
  state: 'active',
  scopes: ['calendar'],
  sealed: 'sealed',
  accessEndsAt: now + 3600,
  updatedAt: now,
  expiresAt: now + 86_400,
  ...over,
})

export type CallTaskWrite = Omit<CallTask, 'generation'>
export const aCallTask = (over: Partial<CallTaskWrite> = {}): CallTaskWrite => ({
  version: 1,
  callerHash: 'caller',
  idHash: 'id',
  sealed: 'sealed',
  expiresAt: now + 60,
  ...over,
})

export type CircuitWrite = Omit<Circuit, 'generation'>
export const aCircuit = (over: Partial<CircuitWrite> = {}): CircuitWrite => ({
  version: 1,
  id: 'google client',
  writtenBy: `write-${unique()}`,
  state: 'open',
  failures: 5,
  openings: 1,
  until: now + 20,
  expiresAt: now + 3600,
  ...over,
})

export const aTask = (over: Partial<Task> = {}): Task => ({
  version: 1,
  kind: 'refresh',
  provider: 'google',
  id: 'task',
  userId: 'user',
  account: 'default',
  writtenBy: `write-${unique()}`,
  dueAt: now,
  expiresAt: now + 86_400,
  attempts: 0,
  ...over,
})

export const aSigningKey = (kid: string, over: Partial<SigningKey> = {}): SigningKey => ({
  version: 1,
  kid,
  alg: 'ES256',
  publicJwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' },
  sealed: 'sealed',
  createdAt: now,
  activeAt: now,
  retiresAt: 0,
  ...over,
})

type Redemption = Parameters<Store['redeemCode']>[0]
export const redeem = (over: Partial<Redemption> = {}): Redemption => ({
  id: 'family',
  codeHash: 'code',
  now,
  refresh: { hash: 'refresh-0', idleEndsAt: now + 86_400 },
  accessEndsAt: now + 900,
  ...operation(),
  ...over,
})

type Rotation = Parameters<Store['rotateRefreshToken']>[0]
/** The rotation from one generation to the next, ten seconds of grace. */
export const rotate = (generation: number, over: Partial<Rotation> = {}): Rotation => ({
  id: 'family',
  presentedHash: `refresh-${generation}`,
  genuine: true,
  successorHash: `refresh-${generation + 1}`,
  replay: `reply-${generation + 1}`,
  graceSeconds: 10,
  idleEndsAt: now + 86_400,
  accessEndsAt: now + 900,
  now,
  ...operation(),
  ...over,
})

type RevocationStep = Parameters<Store['revokeGrant']>[0]
export const revoke = (over: Partial<RevocationStep> = {}): RevocationStep => ({
  id: 'family',
  reason: 'user',
  now,
  ...operation(),
  ...over,
})

export const times = <T>(count: number, step: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => step(i))
export const tally = (outcomes: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}

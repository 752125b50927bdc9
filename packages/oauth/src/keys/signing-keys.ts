import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JSONWebKeySet,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose'
import { z } from 'zod'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import type { EventSink } from '../events.ts'
import type { Clock } from '../runtime.ts'
import type { SigningKey } from '../storage/records.ts'
import type { Store } from '../storage/store.ts'
import { assertSigningJwk, minimumRsaBits, publicPart } from './jwk.ts'
import { signingKeySealContext } from './seal-context.ts'
import type { Sealer } from './sealer.ts'
import type { SigningAlgorithm } from './signing-algorithm.ts'
import {
  findSigningKid,
  planRotation,
  type RotationState,
  resolveRotation,
  type SigningKeyRotation,
} from './signing-key-rotation.ts'

/** A key that signs now. The private key itself is in nobody's hands. */
export interface ActiveSigningKey {
  kid: string
  alg: SigningAlgorithm
  /** Signs claims as a JWT (RFC 7519 §3); the protected header gets `alg` and `kid` besides `typ`. */
  signJwt(claims: JWTPayload, header: { typ: string }): Promise<string>
}

/** The signing keys of this issuer, the same in all its processes. */
export interface SigningKeys {
  /** The key new tokens are signed with; made on first use. */
  active(): Promise<ActiveSigningKey>
  /** Public key by `kid` and its one algorithm, or undefined when no such key has been published. */
  find(kid: string): Promise<{ alg: string; publicKey: CryptoKey } | undefined>
  /** Whether a key that `find` found is still published. Asks nobody. */
  isPublished(kid: string): boolean
  /** The JWKS document (RFC 7517 §5): public members only. */
  jwks(): Promise<JSONWebKeySet>
  /** Publishes the next key, retires old ones and seals again what an older secret sealed, as far as it is due. */
  rotateIfDue(): Promise<void>
  /** Begins nothing more behind requests, and waits for what has begun. Never rejects. */
  close(): Promise<void>
}

export interface SigningKeysOptions {
  store: Pick<Store, 'tenant' | 'listSigningKeys' | 'putSigningKey' | 'retireSigningKey' | 'resealSigningKey'>
  sealer: Sealer
  /** What new tokens are signed with. Keys of other algorithms go on verifying the tokens they signed. */
  algorithm: SigningAlgorithm
  clock: Clock
  /** Default: a new key every 90 days, published a day before it signs. */
  rotation?: Partial<SigningKeyRotation>
  /** Default: nobody hears of new and retired keys. */
  emit?: EventSink
}

interface LoadedKey {
  record: SigningKey
  alg: SigningAlgorithm
  publicJwk: JWK
  publicKey: CryptoKey
  signing: ActiveSigningKey
  /** Sealed by an older secret of the ring. */
  sealIsStale: boolean
}

/** Least time between two looks into the store for a key nobody knows, in seconds: unknown `kid`s are free to send. */
const refreshCooldownSeconds = 5

/** How often a process in use looks, besides, at what others did and at what is due, in seconds. */
const maintenanceSeconds = 60

/** How often a step is tried again because another process was first. */
const maxAttempts = 5

const privateJwkSchema = z.looseObject({
  kty: z.enum(['EC', 'RSA', 'OKP']),
  alg: z.enum(['ES256', 'RS256', 'PS256', 'EdDSA']),
  d: z.string().min(1),
})

/**
 * Creates the signing keys over the store. Keys are read once and kept; a `kid` nobody knows and the JWKS make it
 * look again, at most every 5 seconds. While it is in use it looks every minute at what is due, and no request waits
 * for that. Its methods throw:
 *
 * @throws {ConfigurationError} when the stored keys were sealed by a secret that is gone
 * @throws {StoreUnavailableError}
 */
export function createSigningKeys({
  store,
  sealer,
  algorithm,
  clock,
  rotation: configuredRotation,
  emit,
}: SigningKeysOptions): SigningKeys {
  const rotation = resolveRotation(configuredRotation)
  // A key is published ahead, so a view that is no older than half of that holds every key that signs now.
  const trustSeconds = rotation.publishAheadSeconds / 2
  let records: readonly SigningKey[] = []
  let keys: ReadonlyMap<string, LoadedKey> = new Map()
  let loadedAt: number | undefined
  let maintainedAt: number | undefined
  let isClosed = false

  const ageOf = (at: number | undefined) =>
    at === undefined ? Number.POSITIVE_INFINITY : Math.abs(clock() - at)
  const isFresh = () => ageOf(loadedAt) < refreshCooldownSeconds
  const rotationState = (of: readonly SigningKey[]): RotationState => ({
    records: of,
    algorithm,
    now: clock(),
    rotation,
  })

  /** Undefined when no secret of the ring opens it. */
  const openKey = async (record: SigningKey): Promise<LoadedKey | undefined> => {
    const opened = sealer.open(record.sealed, signingKeySealContext(store.tenant, record))
    if (!opened) return undefined
    // Everything about the key comes from its sealed part: whoever can write to the store can add no key of theirs,
    // and cannot move a key to another algorithm (RFC 8725 §3.1).
    const jwk = privateJwkSchema.parse(JSON.parse(opened.plaintext))
    const { alg } = jwk
    const { kid } = record
    const publicJwk = publicPart(jwk)
    assertSigningJwk(publicJwk, alg)
    const privateKey = (await importJWK(jwk as JWK, alg)) as CryptoKey
    return {
      record,
      alg,
      publicJwk: { ...publicJwk, use: 'sig', alg, kid },
      publicKey: (await importJWK(publicJwk, alg)) as CryptoKey,
      signing: {
        kid,
        alg,
        signJwt: (claims, header) =>
          new SignJWT(claims).setProtectedHeader({ ...header, alg, kid }).sign(privateKey),
      },
      sealIsStale: opened.stale,
    }
  }

  /** `from`: when it is to sign, if that is still a while ahead by the time it is made; undefined for now. */
  const createKey = async (from?: number): Promise<void> => {
    const newestKid = records.at(-1)?.kid
    const { privateKey } = await generateKeyPair(algorithm, {
      extractable: true,
      ...((algorithm === 'RS256' || algorithm === 'PS256') && { modulusLength: minimumRsaBits }),
    })
    const jwk = { ...(await exportJWK(privateKey)), alg: algorithm }
    const kid = await calculateJwkThumbprint(jwk)
    const now = clock()
    const record: SigningKey = {
      version: 1,
      kid,
      alg: algorithm,
      publicJwk: publicPart(jwk) as SigningKey['publicJwk'],
      sealed: sealer.seal(JSON.stringify(jwk), signingKeySealContext(store.tenant, { kid })),
      createdAt: now,
      // Once more: a process that was stopped while it made the key must not publish one that signs already.
      activeAt: from === undefined ? now : Math.max(from, now + rotation.publishAheadSeconds),
      retiresAt: 0,
    }
    // When another process was first, its key is the one to use, and the caller lists again.
    const outcome = await store.putSigningKey({ record, newestKid, now })
    if (outcome === 'stored') emit?.({ type: 'signing_key_created', kid })
  }

  const findActive = (): LoadedKey | undefined => {
    const kid = findSigningKid(rotationState([...keys.values()].map(({ record }) => record)))
    return kid === undefined ? undefined : keys.get(kid)
  }
  const hasSealedKeys = () => records.some(({ kid }) => !keys.has(kid))

  const reported = new Set<string>()
  const load = async (): Promise<void> => {
    const listed = await store.listSigningKeys({ now: clock() })
    const loaded = new Map<string, LoadedKey>()
    for (const record of listed) {
      const known = keys.get(record.kid)
      const key =
        known && known.record.sealed === record.sealed
          ? known
          : // Sealed again by a secret this process has not been given yet: it has the key already.
            ((await openKey(record)) ?? (known && { ...known, sealIsStale: false }))
      // The algorithm is that of the key itself, wherever one is asked for.
      if (key) loaded.set(record.kid, { ...key, record: { ...record, alg: key.alg } })
      else if (!reported.has(record.kid)) {
        reported.add(record.kid)
        emit?.({ type: 'record_unreadable', kind: 'signing_key' })
      }
    }
    records = listed.map(record => loaded.get(record.kid)?.record ?? record)
    keys = loaded
    if (records.length > 0 && keys.size === 0) throw secretIsGone()
    loadedAt = clock()
  }
  let loading: Promise<void> | undefined
  /** Looks into the store; requests that come meanwhile share the look. */
  const refresh = (): Promise<void> => {
    loading ??= load().finally(() => {
      loading = undefined
    })
    return loading
  }

  const createActive = async (): Promise<LoadedKey> => {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      await refresh()
      const key = findActive()
      if (key) return key
      // R175: a key that should sign may be there, and would be replaced in silence.
      if (hasSealedKeys()) throw secretIsGone()
      await createKey()
    }
    throw new StoreUnavailableError('the store takes no signing key')
  }
  let creating: Promise<LoadedKey> | undefined
  const active = async (): Promise<ActiveSigningKey> => {
    // A process that slept: its key may have been retired meanwhile.
    if (loadedAt !== undefined && ageOf(loadedAt) >= trustSeconds) await refresh()
    let key = findActive()
    if (!key) {
      creating ??= createActive().finally(() => {
        creating = undefined
      })
      key = await creating
    }
    maintain()
    return key.signing
  }

  /** R178: what an older secret sealed is sealed by the newest, so that the older one can go. */
  const sealAgain = async (): Promise<void> => {
    for (const { record, sealIsStale } of keys.values()) {
      const context = signingKeySealContext(store.tenant, record)
      const opened = sealIsStale ? sealer.open(record.sealed, context) : undefined
      if (!opened?.stale) continue
      await store.resealSigningKey({
        kid: record.kid,
        sealed: sealer.seal(opened.plaintext, context),
        expectedSealed: record.sealed,
        now: clock(),
      })
    }
  }
  const rotate = async (): Promise<void> => {
    if (!isFresh()) await refresh()
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const { next, retire } = planRotation(rotationState(records))
      if (!next && retire.length === 0) break
      for (const { kid, retiresAt } of retire) {
        const outcome = await store.retireSigningKey({ kid, retiresAt, now: clock() })
        if (outcome === 'retired') emit?.({ type: 'signing_key_retired', kid, retiresAt })
      }
      if (next) await createKey(next.activeAt)
      await refresh()
    }
    if ([...keys.values()].some(({ sealIsStale }) => sealIsStale)) {
      await sealAgain()
      await refresh()
    }
  }
  let rotating: Promise<void> | undefined
  const rotateIfDue = (): Promise<void> => {
    rotating ??= rotate().finally(() => {
      rotating = undefined
    })
    return rotating
  }
  /** Sees to what is due, behind the back of the request that came by: it neither waits for it nor fails with it. */
  const maintain = (): void => {
    if (isClosed || loadedAt === undefined || ageOf(maintainedAt) < maintenanceSeconds) return
    maintainedAt = clock()
    rotateIfDue().catch((error: unknown) => {
      const step = 'rotateIfDue'
      emit?.(
        error instanceof StoreUnavailableError
          ? { type: 'store_unavailable', step }
          : {
              type: 'request_failed',
              step,
              errorName: error instanceof Error ? error.name : typeof error,
              where: step,
            },
      )
    })
  }

  const findPublished = (kid: string): LoadedKey | undefined => {
    const key = keys.get(kid)
    return key && !isRetired(key.record, clock()) ? key : undefined
  }

  return {
    active,
    async find(kid) {
      // R154: a look for every unknown kid would let anybody make us ask the store.
      if ((!keys.has(kid) && !isFresh()) || ageOf(loadedAt) >= trustSeconds) await refresh()
      maintain()
      const key = findPublished(kid)
      return key && { alg: key.alg, publicKey: key.publicKey }
    },
    isPublished: kid => findPublished(kid) !== undefined,
    async jwks() {
      if (!isFresh()) {
        await refresh().catch((error: unknown) => {
          // What is known will do while the store is away: keys are published long before they sign.
          if (!(error instanceof StoreUnavailableError) || ageOf(loadedAt) >= trustSeconds) throw error
        })
      }
      // Never an empty document: clients keep what they fetch.
      await active()
      const now = clock()
      return {
        keys: [...keys.values()]
          .filter(({ record }) => !isRetired(record, now))
          .map(({ publicJwk }) => publicJwk),
      }
    },
    rotateIfDue,
    async close() {
      isClosed = true
      await rotating?.catch(() => {})
    },
  }
}

function isRetired({ retiresAt }: SigningKey, now: number): boolean {
  return retiresAt !== 0 && retiresAt <= now
}

function secretIsGone(): ConfigurationError {
  return new ConfigurationError(
    'SALLYPORT_SECRET does not hold the secret that sealed the signing keys in the store: put it back, ' +
      'after the newest one.',
  )
}

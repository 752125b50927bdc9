import type { AuthorizationServer } from '@sallyport/oauth'
import { type BackgroundTimer, createBackgroundTimer } from '../background-timer.ts'
import { type BearerGate, createBearerGate, openGate } from '../bearer-gate.ts'
import { createTrustedIssuer, withoutBaseScope } from '../external-issuer.ts'
import { metadataPath } from '../protected-resource-metadata.ts'
import { minimumScopes, offeredScopes } from '../scopes.ts'
import { createSignIn, type SignInParts } from '../sign-in.ts'
import type { Ingredients, Premises } from './ingredients.ts'
import type { Kept } from './open-kept.ts'

/** Who vouches for callers. */
export interface Voucher extends Pick<AuthorizationServer, 'verifyAccessToken' | 'issuer' | 'dpop'> {
  /** Whether that is this server. */
  isOwnIssuer: boolean
  /** What a client asks for that needs nothing in particular. */
  scopes: readonly string[]
}

/** Sign-in: here, at an issuer that is trusted, at both, or nowhere. */
export interface Vouching {
  /** Undefined where nobody vouches for callers. */
  voucher: Voucher | undefined
  gate: BearerGate
  /** Where users sign in here, if only to connect accounts. */
  signIn: SignInParts | undefined
  start(): Promise<void>
  close(): Promise<void>
}

/** @throws {ConfigurationError} when sign-in cannot work as configured */
export function createVouching(ingredients: Ingredients, premises: Premises, kept: Kept): Vouching {
  const { issuer, registry, log, emit, clock } = ingredients
  const offers = registry.offers()
  const trusted =
    issuer === undefined ? undefined : createTrustedIssuer(issuer, { users: kept.users, clock, log })
  const signIn = ownSignIn(ingredients, premises, kept)
  const verifier = trusted ?? signIn?.server
  const guarded =
    verifier &&
    createBearerGate({
      verifier,
      resource: premises.resource,
      metadataUrl: premises.publicUrl + metadataPath,
      hasScopes: premises.hasScopes,
      emit,
      clock,
    })
  const background = signIn && backgroundWork(ingredients, signIn)
  return {
    voucher: verifier && {
      verifyAccessToken: (value, resource, jkt) => verifier.verifyAccessToken(value, resource, jkt),
      issuer: verifier.issuer,
      dpop: verifier.dpop,
      isOwnIssuer: trusted === undefined,
      // A foreign issuer has its own minimum; what is offered is all there is to say.
      scopes: trusted ? offeredScopes(offers) : minimumScopes(offers),
    },
    gate: guarded ? (trusted ? withoutBaseScope(guarded) : guarded) : openGate,
    signIn,
    async start() {
      await trusted?.start()
      await signIn?.server.start()
      background?.start()
    },
    async close() {
      await background?.stop()
      trusted?.close()
      await signIn?.server.close()
    },
  }
}

function ownSignIn(
  { config, environment, registry, issuer, signIn, providers, settings, ...rest }: Ingredients,
  premises: Premises,
  { ring, users }: Kept,
): SignInParts | undefined {
  if (!signIn || !users) return undefined
  const { log, emit, clock, random } = rest
  return createSignIn({
    ...premises,
    config,
    environment,
    ring,
    store: users,
    signIn,
    providers,
    offers: registry.offers(),
    settings,
    connectionsOnly: issuer !== undefined,
    emit,
    clock,
    random,
    warn: message => log.warn(message),
  })
}

function backgroundWork(
  { settings, random, emit, log }: Ingredients,
  { providers }: SignInParts,
): BackgroundTimer | undefined {
  if (settings.backgroundWork === false) return undefined
  return createBackgroundTimer({
    workers: [...providers.values()].map(({ connected }) => connected),
    random,
    emit,
    onError: error => log.error({ err: error }, 'background work failed'),
  })
}

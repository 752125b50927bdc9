/** The user authenticated longer ago than the client allows, or nobody says when (OpenID Connect Core §3.1.2.1). */
export class StaleAuthentication extends Error {
  override readonly name = 'StaleAuthentication'
}

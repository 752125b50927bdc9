/** Why a browser gets a page instead of what it asked for. What each means to a user stands in `error-page.ts`. */
export type RefusalReason =
  | 'unknown_client'
  | 'unregistered_redirect_uri'
  | 'cross_site'
  | 'page_ended'
  | 'client_changed'
  | 'wrong_browser'
  | 'sign_in_ended'
  | 'sign_in_used'
  | 'wrong_user'
  | 'link_ended'
  | 'link_used'
  | 'sign_out_unknown'
  | 'unregistered_sign_out_uri'
  | 'busy'

/** A refusal that the user reads, because nobody else may be told: no client is proven, or no browser (R40, R48). */
export class PageRefusal extends Error {
  override readonly name = 'PageRefusal'
  readonly reason: RefusalReason
  constructor(reason: RefusalReason, options?: ErrorOptions) {
    super(`refused: ${reason}`, options)
    this.reason = reason
  }
}

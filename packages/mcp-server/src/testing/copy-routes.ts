import type { Hono } from 'hono'
import type { RequestEnvironment } from '../request-environment.ts'

type App = Hono<{ Bindings: RequestEnvironment }>

/** Adds to a fresh app what a developer has added to another of the same kind. */
export function copyRoutes(from: App, to: App): void {
  // A fresh app has the server's own routes and no other; they come first in both.
  for (const { method, path, handler } of from.routes.slice(to.routes.length)) to.on(method, path, handler)
}

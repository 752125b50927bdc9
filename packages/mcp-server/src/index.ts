export {
  type Admin,
  ConfigurationError,
  type ConfiguredClient,
  type ConfiguredResourceServer,
  type ConnectionState,
  type ConnectionStatus,
  type ConnectionSummary,
  createFileStore,
  createJsonLinesSink,
  createMemoryStore,
  createPkcs8Signer,
  developmentSignIn,
  type EnterpriseIssuer,
  type GrantSummary,
  type JsonLinesSink,
  type Lifetimes,
  type PageLogin,
  type PageLoginRequest,
  type RecordedEvent,
  type RecordedEventSink,
  type SallyportEvent,
  type Signer,
  type SigningAlgorithm,
  type Store,
  type TokenLifetimes,
} from '@sallyport/oauth'
export type { ToolUi, ViewCsp, ViewSettings } from './apps/tool-ui.ts'
export { currentCall } from './calls/current-call.ts'
export type { Completer } from './completers.ts'
export type {
  CallAnswers,
  CallFilter,
  CallKind,
  CallMiddleware,
  CallResults,
  CompletionCall,
  MiddlewareCall,
  PromptCall,
  ResourceCall,
  ToolCall,
} from './composition/call-middleware.ts'
export type { HttpMiddleware } from './composition/http-middleware.ts'
export type { LogLevel, Settings } from './config.ts'
export { content } from './content/content.ts'
export { createServer } from './create-server.ts'
export { prompt, resource, tool } from './decorators.ts'
export type {
  Asking,
  ClientCan,
  Elicit,
  FormAnswer,
  FormContent,
  FormQuestion,
  FormSchema,
  QuestionOptions,
  UrlAnswer,
  UrlQuestion,
} from './elicit/asking.ts'
export type { ClientCapability } from './elicit/client-capability-error.ts'
export { ClientCapabilityError } from './elicit/client-capability-error.ts'
export type { ExchangeTiming } from './elicit/exchange.ts'
export type { JsonValue, KeptState } from './elicit/kept-state.ts'
export type { Environment } from './environment.ts'
export type { ExternalIssuer } from './external-issuer.ts'
export type { InBandChallenges } from './in-band-challenge.ts'
export type { Log } from './log.ts'
export type { OfferHandle } from './offers.ts'
export type { PromptDescription, PromptResult, PromptTurn } from './prompts/prompt-description.ts'
export type {
  ConnectedAccount,
  ConnectedProvider,
  ConnectionReason,
  ExternalToken,
  Provider,
  ProviderHost,
  RevocableTokens,
  RevocationResult,
  SignIn,
} from './provider.ts'
export { ConnectionRequiredError, ProviderUnavailableError } from './provider.ts'
export type {
  ClientCredentials,
  HeadersFor,
  ProxiedTools,
  ProxyCredentials,
  ProxyOptions,
} from './proxy/proxy-options.ts'
export type { RequestEnvironment } from './request-environment.ts'
export { requiresAuth } from './requires-auth.ts'
export type {
  ListedResource,
  ResourceDescription,
  TemplateDescription,
} from './resources/resource-description.ts'
export type { VariablesOf } from './resources/resource-template.ts'
export { type InputOf, type JsonSchema, type Schema, withJsonSchema } from './schemas/schema.ts'
export type {
  AnyServer,
  PromptDefinition,
  ResourceDefinition,
  Server,
  ServerOptions,
  SignedInBy,
  StartOptions,
  ToolDefinition,
} from './server.ts'
export type { SessionOptions } from './sessions/sessions.ts'
export type { SignInOptions } from './sign-in.ts'
export type { TaskOptions } from './tasks/task-options.ts'
export type { Allow, AnyAuth, Auth } from './tools/access-rule.ts'
export type {
  AccountChoice,
  AnyCallContext,
  CallContext,
  Caller,
  CallLog,
  CallRequest,
  ClientCaller,
  ContextOf,
  TokenChoice,
  ToolLog,
} from './tools/call-context.ts'
export type { ResultOf, TaskSupport, ToolDescription } from './tools/tool-description.ts'
export { ToolError } from './tools/tool-error.ts'

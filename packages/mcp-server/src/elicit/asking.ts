import {
  type CreateMessageRequestParams,
  type CreateMessageResult,
  type ElicitRequestFormParams,
  fromJsonSchema,
  inputRequired,
  type JsonSchemaType,
  type Root,
  type StandardSchemaWithJSON,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import { showsViews } from '../apps/tool-ui.ts'
import { type ClientCapability, ClientCapabilityError } from './client-capability-error.ts'
import type { ClientExchange, ClientRequest, Question } from './exchange.ts'
import { settled } from './settled.ts'

/** A form: an object of texts, numbers, booleans and choices, as a Standard Schema or as JSON Schema. */
export type FormSchema = StandardSchemaWithJSON | ElicitRequestFormParams['requestedSchema']

/** What a form's schema makes of the answer. */
export type FormContent<Schema> = Schema extends StandardSchemaWithJSON
  ? StandardSchemaWithJSON.InferOutput<Schema>
  : Record<string, string | number | boolean | string[]>

/** What every question has. */
export interface QuestionOptions {
  /** Name of the question, unlike the others of the same call. Default: its place in their order. */
  readonly id?: string
  /** A client that sends the same answer a second time is refused (2026-07-28). Default false. */
  readonly once?: boolean
  /**
   * An answer counts that came with the call itself, before anything was asked (2026-07-28): a client that knows the
   * question saves a round. Needs an `id`, and does not go with `once`. Default false.
   */
  readonly beforehand?: boolean
}

/** Asks the user to fill in a form. Never for passwords, keys or tokens: the client and its model see the answer. */
export interface FormQuestion<Schema extends FormSchema> extends QuestionOptions {
  /** What is asked and why, for the user. */
  readonly message: string
  readonly schema: Schema
}

/** Asks the user to open a web page, where the client cannot look. */
export interface UrlQuestion extends QuestionOptions {
  readonly message: string
  /** Must hold nothing personal, and open nothing to whoever has it: clients and their models see it. */
  readonly url: string
}

/** What the user did with a form. */
export type FormAnswer<Content> =
  | { readonly action: 'accept'; readonly content: Content }
  | { readonly action: 'decline' | 'cancel'; readonly content?: undefined }

/** What the user did with a link: `accept` says that it was opened, not what happened there. */
export interface UrlAnswer {
  readonly action: 'accept' | 'decline' | 'cancel'
}

/** How a handler asks the user. */
export interface Elicit {
  <Schema extends FormSchema>(question: FormQuestion<Schema>): Promise<FormAnswer<FormContent<Schema>>>
  (question: UrlQuestion): Promise<UrlAnswer>
}

/** What the client can be asked. */
export interface ClientCan {
  /** Forms. */
  readonly elicit: boolean
  /** Links. */
  readonly elicitUrl: boolean
  readonly sample: boolean
  readonly roots: boolean
  /** Show the views of tools (MCP Apps); elsewhere the result has to speak for itself. */
  readonly ui: boolean
}

/** How a call asks its client. Each rejects with `ClientCapabilityError` when the client cannot answer. */
export interface Asking {
  readonly elicit: Elicit
  /** Has the client's model answer. Deprecated in 2026-07-28: better call a model of your own. */
  readonly sample: (params: CreateMessageRequestParams & QuestionOptions) => Promise<CreateMessageResult>
  /** The folders the user works in. Deprecated in 2026-07-28: better take them as arguments. */
  readonly roots: (options?: QuestionOptions) => Promise<Root[]>
  readonly clientCan: ClientCan
}

const action = z.enum(['accept', 'decline', 'cancel'])
const elicitAnswer = z.looseObject({ action, content: z.record(z.string(), z.unknown()).optional() })
const contentBlock = z.looseObject({ type: z.string() })
const sampleAnswer = z.looseObject({
  role: z.enum(['user', 'assistant']),
  model: z.string(),
  content: z.union([contentBlock, z.array(contentBlock)]),
})
const rootsAnswer = z.looseObject({
  roots: z.array(z.looseObject({ uri: z.string(), name: z.string().optional() })),
})

/** The functions a handler asks with. */
export function createAsking(exchange: ClientExchange): Asking {
  const { elicitation, sampling, roots } = exchange.capabilities
  const clientCan: ClientCan = {
    // Clients from before there were links declare nothing but `elicitation`.
    elicit: elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined),
    elicitUrl: elicitation?.url !== undefined,
    sample: sampling !== undefined,
    roots: roots !== undefined,
    ui: showsViews(exchange.capabilities),
  }
  const assertCan = (can: boolean, capability: ClientCapability, request: ClientRequest) => {
    if (!can) throw new ClientCapabilityError(capability, request)
  }
  const ask = <Answer>(question: Question<Answer>): Promise<Answer> => {
    const { id, once, beforehand } = question
    // By its place alone a question cannot be known before it is asked; and what was never sealed can be sent again.
    if (beforehand && (id === undefined || once)) {
      throw new Error('A question with `beforehand` needs an `id`, and cannot have `once`.')
    }
    return exchange.ask(question)
  }

  const elicitForm = async ({ message, schema, ...options }: FormQuestion<FormSchema>) => {
    const { params } = inputRequired.elicit({ message, requestedSchema: schema })
    const request = { method: 'elicitation/create', params: { ...params } } as const
    assertCan(clientCan.elicit, 'elicitation', request)
    const checked: StandardSchemaWithJSON =
      '~standard' in schema ? (schema as StandardSchemaWithJSON) : fromJsonSchema(schema as JsonSchemaType)
    return ask<FormAnswer<unknown>>({
      ...options,
      request,
      async read(answer) {
        const { data } = elicitAnswer.safeParse(answer)
        if (data?.action !== 'accept') return data && { action: data.action }
        const outcome = await checked['~standard'].validate(data.content ?? {})
        return outcome.issues ? undefined : { action: 'accept', content: outcome.value }
      },
    })
  }
  const elicitUrl = async ({ message, url, ...options }: UrlQuestion) => {
    const request = { method: 'elicitation/create', params: { mode: 'url', message, url } } as const
    assertCan(clientCan.elicitUrl, 'url_elicitation', request)
    return ask<UrlAnswer>({
      ...options,
      request,
      async read(answer) {
        const { data } = elicitAnswer.safeParse(answer)
        return data && { action: data.action }
      },
    })
  }

  const sample = async ({ id, once, beforehand, ...params }: Parameters<Asking['sample']>[0]) => {
    const request = { method: 'sampling/createMessage', params: { ...params } } as const
    const needsTools = params.tools !== undefined || params.toolChoice !== undefined
    assertCan(clientCan.sample, 'sampling', request)
    assertCan(!needsTools || sampling?.tools !== undefined, 'sampling_tools', request)
    return ask({
      id,
      once,
      beforehand,
      request,
      read: async answer => sampleAnswer.safeParse(answer).data as CreateMessageResult | undefined,
    })
  }
  const listRoots = async (options: QuestionOptions) => {
    const request = { method: 'roots/list' } as const
    assertCan(clientCan.roots, 'roots', request)
    return ask({
      ...options,
      request,
      read: async answer => rootsAnswer.safeParse(answer).data?.roots as Root[] | undefined,
    })
  }

  return {
    clientCan,
    elicit: ((question: FormQuestion<FormSchema> | UrlQuestion) =>
      settled<unknown>('url' in question ? elicitUrl(question) : elicitForm(question))) as Elicit,
    sample: params => settled(sample(params)),
    roots: (options = {}) => settled(listRoots(options)),
  }
}

/** What goes wrong between a client and the API, on order. */
import type { ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

interface FaultTarget {
  /** Which requests, as `METHOD /path`; default all. */
  readonly on?: RegExp | undefined
  /** How many of them; default 1. */
  readonly times?: number | undefined
}

export type Fault = FaultTarget &
  (
    | {
        /** Any answer: what was recorded, or what nobody expects. */
        readonly kind: 'answer'
        readonly status: number
        readonly body?: unknown
        readonly headers?: Readonly<Record<string, string>> | undefined
      }
    | { readonly kind: 'rate-limit'; readonly resetSeconds: number }
    /** A page of something in between; default status 502. */
    | { readonly kind: 'html'; readonly status?: number | undefined; readonly title?: string | undefined }
    /** Takes the request and never answers. */
    | { readonly kind: 'half-open' }
    /** Begins an answer and never ends it. */
    | { readonly kind: 'stalled-body' }
    /** Answers as usual, after a while. */
    | { readonly kind: 'slow'; readonly delayMs: number }
    /** Ends the connection before an answer. */
    | { readonly kind: 'reset' }
    /** Promises more bytes than it sends. */
    | { readonly kind: 'truncated' }
  )

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' }

/** Carries a fault out. @returns the status that was sent, 0 for none; undefined: go on as usual */
export async function injectFault(fault: Fault, response: ServerResponse): Promise<number | undefined> {
  switch (fault.kind) {
    case 'answer': {
      const body = typeof fault.body === 'string' ? fault.body : JSON.stringify(fault.body)
      response.writeHead(fault.status, { ...JSON_TYPE, ...fault.headers }).end(body)
      return fault.status
    }
    case 'rate-limit':
      response.setHeader('x-ratelimit-remaining', 0)
      response.setHeader('x-ratelimit-reset', fault.resetSeconds)
      response.writeHead(429, JSON_TYPE).end('{"message":"ThrottlerException: Too Many Requests"}')
      return 429
    case 'html': {
      const status = fault.status ?? 502
      const title = fault.title ?? 'Bad gateway'
      response.writeHead(status, { 'content-type': 'text/html; charset=UTF-8' })
      response.end(`<!DOCTYPE html>\n<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`)
      return status
    }
    case 'half-open':
      return 0
    case 'stalled-body':
      response.writeHead(200, JSON_TYPE)
      response.write('{"region":"us-')
      return 200
    case 'slow':
      await wait(fault.delayMs, undefined, { ref: false })
      return undefined
    case 'reset':
      response.destroy()
      return 0
    case 'truncated':
      response.writeHead(200, { ...JSON_TYPE, 'content-length': '500' })
      response.write('{"region":"us-', () => response.destroy())
      return 200
  }
}

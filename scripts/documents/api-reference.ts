import type * as z from 'zod'
import { API_PREFIX, type OperationFacts } from '../../src/api/contract/operation.ts'
import { operations } from '../../src/api/contract/operations.ts'
import { DEFAULT_LIMITS } from '../../src/api/http/options.ts'
import { operationProblems } from '../../src/api/openapi.ts'

/** `docs/api.md`: how the server is asked, and every operation. */
export function renderApiReference(): string {
  const tags = [...new Set(Object.values<OperationFacts>(operations).map(({ tag }) => tag))]
  return [
    '# The HTTP API',
    '<!-- The lists are made from src/api/contract/operations.ts, the rest stands in scripts/documents/api-reference.ts; `npm run docs` writes this. -->',
    INTRODUCTION,
    ...tags.flatMap((tag) => [`## ${title(tag)}`, operationTable(tag)]),
    '## Probes and metrics',
    PROBES,
    ASKING,
    STREAMS,
    CLIENT,
    SERVING,
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n')
}

function operationTable(tag: string): string {
  const rows = Object.entries<OperationFacts>(operations)
    .filter(([, facts]) => facts.tag === tag)
    .map(([name, facts]) => {
      const takes = [...fieldsOf(facts.query), ...(facts.body ? ['a body'] : [])].join(', ')
      const refusals = operationProblems(facts).map((code) => `\`${code}\``)
      const answers = facts.events ? 'events' : String(facts.status)
      return `| \`${facts.method.toUpperCase()} ${facts.path}\` | ${facts.summary} | ${takes} | ${answers} | ${refusals.join(', ')} | \`${name}\` |`
    })
  return ['| | what | takes | answers | refuses with | in the client |', '|---|---|---|---|---|---|', ...rows].join(
    '\n',
  )
}

function fieldsOf(schema: z.ZodObject | undefined): string[] {
  return Object.keys(schema?.shape ?? {}).map((name) => `\`${name}\``)
}

const title = (tag: string) => `${tag.slice(0, 1).toUpperCase()}${tag.slice(1)}`

const seconds = (ms: number) => (ms < 120_000 ? `${ms / 1000} s` : `${ms / 60_000} minutes`)

const INTRODUCTION =
  `A server of Retake answers below \`${API_PREFIX}\`; \`${API_PREFIX}/openapi.json\` describes all of it as OpenAPI 3.1, made of the schemas that ` +
  'requests and answers are checked with. Instants are ISO 8601 in UTC, positions in the WAL `X/Y`, sizes bytes, durations milliseconds. ' +
  'Fields may be added within a version; a reader ignores those that it does not know. What is not known is absent or says `unknown`.'

const PROBES = `| | what |
|---|---|
| \`GET /livez\` | 200 as long as the process answers; no token |
| \`GET /readyz\` | 200 when it can do its work, 503 with the reasons when not; without the token the reasons are codes alone |
| \`GET /metrics\` | [metrics](metrics.md) of all clusters, in Prometheus' text format or OpenMetrics, whichever \`Accept\` likes better; Prometheus sends the token with \`authorization: { credentials_file: … }\` |
| \`GET ${API_PREFIX}/openapi.json\` | this page for machines; no token |`

const ASKING = `## How to ask

**Token.** \`Authorization: Bearer TOKEN\`. Whoever has it may do everything. It is never part of an address.

**Name.** A server answers under addresses, as \`localhost\`, and under names that it was told are its own. That keeps a page of the web from reaching
it through a browser on the same machine. Other sites are given nothing (no CORS).

**Errors** are \`application/problem+json\` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) with the \`code\` of [errors](errors.md), \`detail\`, the next step as \`hint\`,
whether trying again can help as \`retry\`, and a \`requestId\` that is also in the log of the server. What does not fit in a request is listed in \`fields\`, all at once. Any operation may answer
\`api.invalid\` (400), \`api.denied\` (401), \`api.busy\` (503), \`timeout\` (504) and errors of the repository or the database; the tables name what else there is.

**Lists** are read page by page: \`next\` of one page is the \`cursor\` of the following one, and absent on the last. \`limit\` is 50, at most 500. What is added or
removed meanwhile makes no other item appear twice or get lost.

**Actions** take an \`Idempotency-Key\`: the same request with the same key has its effect once and the same answer (\`Idempotency-Replayed: true\`). While the
first is under way, a second is answered 409 with \`Retry-After\`; with another request the key is refused (422). What failed may be repeated with the same key.

**Polling.** Answers carry an \`ETag\`; with \`If-None-Match\`, what has not changed is 304.

**Limits.** A body of ${DEFAULT_LIMITS.bodyBytes / 1024} KiB, ${seconds(DEFAULT_LIMITS.requestMs)} for an answer, ${DEFAULT_LIMITS.streams} streams at a time.

\`\`\`
curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:7432/api/v1/clusters
curl -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -H "Idempotency-Key: $(uuidgen)" \\
  -d '{"task":"backup","label":"before the migration"}' http://127.0.0.1:7432/api/v1/clusters/main/runs
\`\`\``

const STREAMS = `## Events

Streams are [server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html). \`data\` is JSON: of a run the whole run (event \`run\`), of a cluster what is to be
read anew (event \`change\`). With \`Last-Event-ID\` a stream goes on after the event that was seen last; where changes may have been missed, the next one is of the kind \`reset\`.
Whoever reads slowly is given the newest state of a run, and holds nobody back.

A stream that has nothing to say sends a comment every ${seconds(DEFAULT_LIMITS.heartbeatMs)}. Its last event is \`end\` with a \`reason\`: \`over\` (nothing more will come), \`failed\` (with the \`problem\`), \`closing\` (the
server ends) or \`renew\` (after ${seconds(DEFAULT_LIMITS.streamMs)}); after the last two, and after a connection that broke, open it again. A connection on which nothing moves for ${seconds(DEFAULT_LIMITS.idleMs)} is cut.`

const CLIENT = `## The client

\`\`\`ts
import { createClient, eachItem } from 'retake/client'

const client = createClient({ url: 'http://127.0.0.1:7432', token })

const run = await client.startRun({ cluster: 'main', body: { task: 'backup' } })
for await (const { state, phase, progress } of client.watchRun({ run: run.id })) console.log(state, phase, progress?.done)

for await (const backup of eachItem((cursor) => client.listBackups({ cluster: 'main', cursor }))) console.log(backup.backupId)
\`\`\`

It has a method for each operation, needs nothing but \`fetch\` (Node 20, browsers, edge runtimes), checks every answer, and throws the errors that the server told of as \`RetakeError\`s, beside
\`api.unreachable\`, \`api.protocol\`, \`timeout\` and \`aborted\`. Actions carry a key of their own unless one is given. A watch takes its stream up again when the connection
breaks; leaving the loop, or the \`signal\`, ends it. [\`retake/supabase\`](supabase.md) reads \`${API_PREFIX}/clusters/NAME/status\` as its \`retake.url\`.`

const SERVING = `## Where it listens

On 127.0.0.1 unless it is told otherwise, without TLS: put a reverse proxy in front of it for other machines, and let it speak TLS. A proxy must not collect what streams send
(nginx: \`proxy_buffering off\`), must wait longer than ${seconds(DEFAULT_LIMITS.heartbeatMs)} for the next byte, and passes on the name it was asked by only if the server knows that name as its own.

When the server ends, it takes no new connection, tells streams so, waits up to ${seconds(DEFAULT_LIMITS.closeMs)} for requests that are under way, and then cuts what is left.`

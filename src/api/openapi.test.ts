/** The document: that it is one, that every reference leads somewhere, and that it says of each operation what the table says. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { namedSchemas } from './contract/named.ts'
import { API_PREFIX, type OperationFacts } from './contract/operation.ts'
import { operations } from './contract/operations.ts'
import { openApiDocument } from './openapi.ts'
import { startApi } from './testing/api-stage.ts'

type Json = { readonly [key: string]: Json }

const document = JSON.parse(JSON.stringify(openApiDocument())) as Json

function walk(
  value: unknown,
  visit: (object: Readonly<Record<string, unknown>>, path: string) => void,
  path = '',
): void {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) visit(value as Record<string, unknown>, path)
  for (const [key, inner] of Object.entries(value)) walk(inner, visit, `${path}/${key}`)
}

function resolvePointer(reference: string): unknown {
  return reference
    .replace(/^#\//, '')
    .split('/')
    .reduce<Json | undefined>((inner, key) => inner?.[key], document)
}

describe('the OpenAPI document', () => {
  test('is OpenAPI 3.1 and the same that the server gives to everybody', async () => {
    assert.match(String(document.openapi), /^3\.1\.\d$/)
    assert.deepEqual(Object.keys(document).sort(), ['components', 'info', 'openapi', 'paths', 'security'])
    await using api = await startApi()
    const response = await fetch(`${api.server.url}${API_PREFIX}/openapi.json`)
    assert.deepEqual(await response.json(), document)
  })

  test('every reference leads to a schema, and every schema is referred to', () => {
    const referred = new Set<string>()
    walk(document, (object, path) => {
      if (typeof object.$ref !== 'string') return
      assert(object.$ref.startsWith('#/components/schemas/'), `${path}: ${object.$ref}`)
      assert(resolvePointer(object.$ref), `${path}: ${object.$ref} leads nowhere`)
      referred.add(object.$ref.slice('#/components/schemas/'.length))
    })
    assert.deepEqual([...referred].sort(), Object.keys(namedSchemas).sort())
  })

  test('each operation has its place, a name of its own, its parameters, its answer and its refusals', () => {
    const names = new Set<unknown>()
    for (const [name, facts] of Object.entries<OperationFacts>(operations)) {
      const found = document.paths?.[`${API_PREFIX}${facts.path}`]?.[facts.method]
      assert(found, name)
      assert.equal(found.operationId, name)
      names.add(found.operationId)
      const parameters = found.parameters as unknown as {
        name: string
        in: string
        required: boolean
        schema: object
      }[]
      const inPath = [...facts.path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter)
      assert.deepEqual(
        parameters.filter((one) => one.in === 'path').map((one) => one.name),
        inPath,
        name,
      )
      assert(
        parameters.every((one) => one.in !== 'path' || one.required),
        name,
      )
      for (const one of parameters) assert(Object.keys(one.schema).length > 0, `${name}: ${one.name}`)
      assert.equal(found.requestBody !== undefined, facts.body !== undefined, name)
      const answer = found.responses?.[String(facts.status)]
      assert(answer?.description, `${name} has no answer`)
      for (const status of ['400', '401', '503', '504']) assert(found.responses?.[status], `${name}: ${status}`)
      assert.equal(found.responses?.['422'] !== undefined, facts.action === true, name)
    }
    assert.equal(names.size, Object.keys(operations).length)
  })

  test('what only a schema of JSON can say is in it', () => {
    const { StartRun, Run, Status } = (document.components?.schemas ?? {}) as unknown as Record<string, Json>
    const tasks = (StartRun?.oneOf ?? StartRun?.anyOf) as unknown as Json[]
    assert.deepEqual(
      tasks.map(({ properties }) => properties?.task?.const),
      ['backup', 'verify', 'prune', 'drill', 'check'],
    )
    assert(tasks.every(({ additionalProperties }) => (additionalProperties as unknown) === false))
    assert.deepEqual(Run?.properties?.state?.enum, ['queued', 'running', 'succeeded', 'failed', 'cancelled'])
    assert.deepEqual(Status?.properties?.lastBackupCopies, { $ref: '#/components/schemas/Copies' })
    // A reader of today meets fields of tomorrow.
    assert.equal(Run?.additionalProperties, undefined)
  })
})

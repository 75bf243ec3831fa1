/** `npm run docs`: writes the documents that are made from the sources. */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { generatedDocuments } from './documents/generated.ts'

const root = resolve(import.meta.dirname, '..')

for (const { path, render } of generatedDocuments) {
  writeFileSync(resolve(root, path), await render())
  console.log(`Wrote ${path}.`)
}

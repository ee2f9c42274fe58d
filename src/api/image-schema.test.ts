import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { imageDocument } from './image-schema.ts'

describe('the schema document of an image', () => {
  const document = imageDocument({ disk_formats: ['raw'], container_formats: ['bare'] }) as {
    properties: Record<string, unknown>
  }

  it('says what every field may be', () => {
    for (const field of ['id', 'name', 'disk_format', 'os_hash_value', 'tags'])
      assert.ok(field in document.properties, field)
  })

  it('leaves out `stores`, for which clients have a flag of their own', () => {
    assert.equal('stores' in document.properties, false)
  })
})

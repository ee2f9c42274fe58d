import type { FactoryImage } from '../factory/factory-image.ts'

/** A record with something in every field. */
export function factoryImage(more: Partial<FactoryImage>): FactoryImage {
  const at = new Date('2026-01-31T12:00:00Z')
  return {
    id: '5c0a2a7e-6f0c-4b7b-9d4b-3f1f1e1d2c3b',
    type: 'provider',
    status: 'BUILDING',
    activity: '',
    error: null,
    percent: 0,
    parentId: null,
    name: 'debian-12',
    template: null,
    parameters: {},
    properties: {},
    builder: null,
    target: null,
    provider: null,
    identifierOnProvider: null,
    providerAccount: null,
    bodyId: null,
    owner: null,
    userId: null,
    attempts: 1,
    createdAt: at,
    updatedAt: at,
    startedAt: at,
    endedAt: null,
    ...more,
  }
}

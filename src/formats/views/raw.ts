import { diskContent } from '../_segments.ts'
import type { ViewFormat } from '../view.ts'

/** The guest's disk, byte for byte. */
export const raw: ViewFormat = {
  name: 'raw',
  summary: 'the bytes of the disk as they are',
  endings: ['raw', 'img'],
  mediaType: 'application/x-raw-disk-image',
  needs: 'map',
  version: 1,
  make: ({ map }) => diskContent(map),
}

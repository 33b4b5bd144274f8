// Narrows the table of configs down to the rows that contain every word of the search field.
document.addEventListener('DOMContentLoaded', () => {
  const field = document.getElementById('table-filter')
  if (!field) return
  const rows = [...document.querySelectorAll('#models tbody tr')]
  const narrow = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean)
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word))
    document.getElementById('table-count').textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`
  }
  field.addEventListener('input', narrow)
  narrow()
})

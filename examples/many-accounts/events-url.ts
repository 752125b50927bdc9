const primaryCalendar = 'https://www.googleapis.com/calendar/v3/calendars/primary/events'

/** Address of the events of one day (UTC) in the user's own calendar (Google Calendar API v3, events.list). */
export function eventsUrl(day: string): string {
  const query = new URLSearchParams({
    timeMin: `${day}T00:00:00Z`,
    timeMax: `${day}T23:59:59Z`,
    singleEvents: 'true',
    orderBy: 'startTime',
  })
  return `${primaryCalendar}?${query}`
}

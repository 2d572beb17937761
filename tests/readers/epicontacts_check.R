"Builds an epicontacts object, without a warning: Rscript epicontacts_check.R DIR SOURCES (the package epicontacts, or the
folder R of its sources). DIR holds linelist.csv and contacts.csv. Needs igraph where SOURCES is a folder." -> usage

options(warn = 2)                       # a warning is an error
arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 2) stop(usage)
if (dir.exists(arguments[2])) {
  # visNetwork and threejs draw; they are not needed to build, count and cluster.
  for (name in c("make_epicontacts", "get_id", "get_degree", "as.igraph.epicontacts", "summary.epicontacts", "handling"))
    source(file.path(arguments[2], paste0(name, ".R")))
} else {
  library(arguments[2], character.only = TRUE)
}

# As any user of the files must: ids are text, and a person called NA is not a missing one.
read <- function(name) {
  table <- read.csv(file.path(arguments[1], name), colClasses = "character", na.strings = "", encoding = "UTF-8",
                    check.names = TRUE)
  if (!identical(names(table), make.names(names(table), unique = TRUE))) stop(name, ": names that R would change")
  table
}
linelist <- read("linelist.csv")
contacts <- read("contacts.csv")
if (names(linelist)[1] != "id") stop("linelist.csv: the first column is not id")
if (!identical(names(contacts)[1:2], c("from", "to"))) stop("contacts.csv: the first columns are not from, to")

x <- make_epicontacts(linelist, contacts, directed = TRUE)
stopifnot(inherits(x, "epicontacts"), nrow(x$linelist) == nrow(linelist), nrow(x$contacts) == nrow(contacts))
stopifnot(!anyNA(x$linelist$id), !anyNA(x$contacts$from), !anyNA(x$contacts$to))
stopifnot(all(x$contacts$from != x$contacts$to))
unknown <- setdiff(c(x$contacts$from, x$contacts$to), x$linelist$id)
if (length(unknown) > 0) stop("contacts.csv names persons that linelist.csv does not: ", toString(head(unknown)))
time <- function(text) as.POSIXct(text, format = "%Y-%m-%dT%H:%M:%SZ", tz = "UTC")
stopifnot(!anyNA(time(x$contacts$start)), all(time(x$contacts$start) < time(x$contacts$end)))

degree <- get_degree(x, type = "out")
graph <- as.igraph.epicontacts(x)
stopifnot(igraph::vcount(graph) == nrow(linelist), igraph::ecount(graph) == nrow(contacts), igraph::is_directed(graph))
cat("ok:", nrow(linelist), "persons,", nrow(contacts), "contacts, largest number of contacts", max(degree), "\n")

"Reads GraphML with igraph, without a warning: Rscript igraph_check.R FILE NODES EDGES. Needs igraph." -> usage

options(warn = 2)
arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 3) stop(usage)
graph <- igraph::read_graph(arguments[1], format = "graphml")
counts <- c(igraph::vcount(graph), igraph::ecount(graph))
if (!all(counts == as.numeric(arguments[2:3]))) stop("nodes and edges: ", toString(counts))
ids <- igraph::V(graph)$person_id
stopifnot(igraph::is_directed(graph), length(ids) == counts[1], !anyNA(ids))
stopifnot(is.numeric(igraph::E(graph)$weight), all(igraph::E(graph)$weight > 0))
cat("ok:", counts[1], "nodes,", counts[2], "edges\n")
